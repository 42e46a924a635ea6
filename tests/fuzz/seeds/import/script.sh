#!/bin/sh
set -e
export TOKEN=x
curl 'https://h.example/v3/sql/carto_dw/job' -H "Authorization: Bearer $TOKEN" -d '{"query":"CALL `p.d.w`()"}' > out 2>&1 | jq . && echo done
