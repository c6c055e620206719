-- Gives the rows of another statement in binary form.
COPY ({statement}) TO STDOUT (FORMAT binary)
