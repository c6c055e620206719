"""What people read: queries, content and pages of each document together."""
