# make run    the taxi task, end to end, on this machine     ARGS="--task taxi_fare" for another
# make test   checks and tests                               PYTEST="-k gate" for some of them
# make env    the environment (called by the others)
# make slow   1.5 million rows on a Flink of this machine, a part of which dies; not a part of make test
# make bench  our chain against TFX's own template and a plain script    ARGS="--rows 15002" for the small size
# make image  the container image of this checkout    IMAGE=<registry>/<name>[:tag]; make push pushes it

PY := .venv/bin/python
.PHONY: env browser run test check unit e2e slow bench image push format

env:
	@sh scripts/env.sh

browser:
	@sh scripts/browser.sh

run: env
	@$(PY) local_runner.py $(ARGS)

test: check unit e2e

check: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

unit: env browser
	$(PY) -m pytest -m "not e2e" -n 2 --dist loadfile $(PYTEST)

e2e: env browser
	$(PY) -m pytest -m e2e -n 2 --dist loadfile $(PYTEST)

slow: env
	MILLRACE_SLOW=1 $(PY) -m pytest tests/e2e/test_flink.py -k million $(PYTEST)

bench: env
	$(PY) -m benchmarks.template $(ARGS)

image: env
	@$(PY) scripts/image.py build "$(IMAGE)" $(ARGS)

push: env
	@$(PY) scripts/image.py push "$(IMAGE)" $(ARGS)

format: env
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
