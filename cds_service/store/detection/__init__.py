"""Detection in the database: in one transaction with the samples that it rests on."""
