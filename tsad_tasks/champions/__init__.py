"""Who is champion: registration, shadow, promotion, rollback, and bundles that nobody needs."""
