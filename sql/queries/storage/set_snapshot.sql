-- All reads of this transaction see one moment, and nothing can be written.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY
