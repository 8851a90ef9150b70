"""Certificates that nobody trusts unless told."""

import ssl

import trustme


def serving(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a server with a certificate of that authority needs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a client that trusts that authority needs."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
