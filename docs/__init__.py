"""The site and its explorer: ``python -m docs`` builds both into build/docs."""
