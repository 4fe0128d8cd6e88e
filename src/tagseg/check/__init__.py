"""What is wrong with tagged photos, found before a training: a file for each kind of finding."""
