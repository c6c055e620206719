"""The page in Airflow: what is strange, why, and what people say; it knows no Airflow."""
