"""Numbers, times and sentences as people read them: the same in mail, page, PDF and on the command
line.
"""
