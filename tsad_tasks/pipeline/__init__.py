"""The rooms put together: the table of tasks, the record of runs, rescoring, replays."""
