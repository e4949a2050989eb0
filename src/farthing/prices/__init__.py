"""What things cost: the price book, the cost of a call and its ceiling. Pure."""
