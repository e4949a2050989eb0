"""What somebody may do over the governance API."""

import enum


class Role(enum.StrEnum):
    """Who asks. A call key is a developer's; a token has one of the other roles."""

    ADMIN = "admin"  # everything but calling models
    APPROVER = "approver"  # looks at everything, answers requests of others, raises budgets
    VIEWER = "viewer"  # looks at everything
    DEVELOPER = "developer"  # looks at what its own key spent, and asks for more
