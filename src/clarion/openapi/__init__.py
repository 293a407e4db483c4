"""The RPC face: what official SDKs of the Message Push Service API speak, over HTTP."""
