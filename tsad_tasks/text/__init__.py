"""Numbers, times and sentences as people read them: in mail, page, PDF and command line."""
