"""What things cost: price book, ceiling and cost; pure."""
