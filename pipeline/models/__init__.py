"""Model families, one file each; a family is a frozen object that builds a Keras model from the task's features."""
