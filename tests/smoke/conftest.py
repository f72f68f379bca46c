"""The journeys share a page where they leave it as they found it; those that break or fill one open their own."""

from tests.web.conftest import desk, folder, new_desk, shared_desk, visit, writer

__all__ = ["desk", "folder", "new_desk", "shared_desk", "visit", "writer"]
