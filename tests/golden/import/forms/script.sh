#!/bin/sh
set -e
API="https://example.com"
curl --request POST \
     --url "https://gcp-us-east1.api.carto.com/v3/sql/carto_dw/job" \
     --header "Authorization: Bearer a-token-that-nobody-may-see" \
     --data-binary "{\"query\": \"CALL \`carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f\`(@number_of_clusters,@buffer_radius,@store_type)\",\"queryParameters\": {\"store_type\":\"Supermarket\",\"number_of_clusters\":2,\"buffer_radius\":500.0}}" \
     --output /dev/null 2>&1 && echo done
# how it stands:
curl --location 'https://gcp-us-east1.api.carto.com/v3/sql/carto_dw/job/job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9' --header 'Authorization: Bearer a-token-that-nobody-may-see'
