"""From files to rows that may be learned from: read, type, check, split, encode. Arrow and NumPy; no TFX, no Beam."""
