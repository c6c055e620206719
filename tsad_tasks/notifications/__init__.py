"""What people are told of incidents and models, through an outbox that loses nothing."""
