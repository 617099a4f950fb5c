"""A root that is not on this machine: a bucket on S3 or Google Cloud Storage, or a folder that stands for one.

    transfer.py   whole trees and single objects, several at a time, with retries
    stores.py     what a bucket and a folder can do, by one interface
    retries.py    how often and how long a request is tried again

A bucket has no rename and no lock. So what many read is written once, under a name of its own, and what says that it is
complete is written last.
"""
