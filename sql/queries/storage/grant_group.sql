-- Puts a login into a group.
GRANT {group} TO {login}
