"""What must hold between loans, plans, orders and the bank, as pure rules over a picture; what is in flight is listed, not blamed."""
