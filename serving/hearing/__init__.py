"""What is reported: outcomes and corrections, deliveries, contacts elsewhere, objections."""
