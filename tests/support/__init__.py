"""What tests against a running server share: processes, tenants, a signed client, devices."""
