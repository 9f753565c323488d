#!/usr/bin/python3
# Are these documents what docs/verdict.schema.json says? verdict_schema.py SCHEMA FILE...
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
bad = 0
for path in sys.argv[2:]:
    for error in validator.iter_errors(json.load(open(path))):
        error = jsonschema.exceptions.best_match([error])
        print(path, "/".join(map(str, error.absolute_path)), error.message[:300])
        bad = 1
sys.exit(bad)
