"""Whole stories disturbed: kills and freezes at fault points, webhooks lost, messages doubled; each must end like the undisturbed one."""
