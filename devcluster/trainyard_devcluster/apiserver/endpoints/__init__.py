"""What requests are answered with: one function for each verb and subresource."""
