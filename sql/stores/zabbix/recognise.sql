-- A database of Zabbix server, 6.0 or 7.0.
SELECT 'Zabbix ' || mandatory / 1000000 || '.' || mandatory / 10000 % 100 FROM dbversion
