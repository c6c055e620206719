"""What people say: verdicts, labels, maintenance windows."""
