import pytest

from tests.explorer.fake_runs import write_fake_runs


@pytest.fixture(scope="session")
def fake_runs(tmp_path_factory):
    """A runs folder that is only read; a test that changes it makes its own."""
    return write_fake_runs(tmp_path_factory.mktemp("explorer"), n=8)


@pytest.fixture
def own_runs(tmp_path):
    return write_fake_runs(tmp_path, n=4)
