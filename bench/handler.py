# SPDX-License-Identifier: Apache-2.0
"""What the function replaces: the user's own handler, word for word but for layout, and the loop that AWS's Python runtime
runs around it: next, the event's JSON, the handler, its answer's JSON, response, over one kept connection. It is
bench/function's measure, and no part of the program."""

import http.client
import json
import os
import time
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Dict

import boto3

# Initialize AWS clients
dynamodb = boto3.resource("dynamodb")
secrets_manager = boto3.client("secretsmanager")

# Get environment variables
TABLE_NAME = os.environ["DYNAMODB_TABLE_NAME"]
SECRETS_ARN = os.environ["SECRETS_MANAGER_ARN"]
ENVIRONMENT = os.environ.get("ENVIRONMENT", "prod")

# Get DynamoDB table
table = dynamodb.Table(TABLE_NAME)


def lambda_handler(event: Dict[str, Any], context: Any) -> Dict[str, Any]:
    print(f"Received webhook event: {json.dumps(event)}")

    try:
        # Parse webhook payload
        if "body" in event:
            body = json.loads(event["body"]) if isinstance(event["body"], str) else event["body"]
        else:
            body = event

        # Validate required fields
        if "transactionId" not in body:
            return {"statusCode": 400, "body": json.dumps({"error": "Missing transactionId"})}

        # Get API credentials from Secrets Manager (for validation)
        try:
            secret_response = secrets_manager.get_secret_value(SecretId=SECRETS_ARN)
            api_credentials = json.loads(secret_response["SecretString"])
            print("Successfully retrieved API credentials")
        except Exception as e:
            print(f"Warning: Could not retrieve secrets: {str(e)}")
            # Continue processing even if secret retrieval fails (for initial setup)

        # Prepare transaction record
        timestamp = int(time.time())
        transaction_record = {
            "transactionId": body["transactionId"],
            "timestamp": timestamp,
            "payload": json.dumps(body),
            "receivedAt": datetime.utcnow().isoformat(),
            "environment": ENVIRONMENT,
            "processedBy": context.function_name,
        }

        # Store transaction in DynamoDB
        table.put_item(Item=transaction_record)
        print(f"Successfully stored transaction: {body['transactionId']}")

        return {
            "statusCode": 200,
            "body": json.dumps({"message": "Webhook processed successfully", "transactionId": body["transactionId"]}),
        }

    except json.JSONDecodeError as e:
        print(f"JSON decode error: {str(e)}")
        return {"statusCode": 400, "body": json.dumps({"error": "Invalid JSON payload"})}

    except Exception as e:
        print(f"Error processing webhook: {str(e)}")
        return {"statusCode": 500, "body": json.dumps({"error": "Internal server error"})}


def main():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    root = "/2018-06-01/runtime/invocation/"
    while True:
        api.request("GET", root + "next")
        answer = api.getresponse()
        event = json.loads(answer.read())
        context = SimpleNamespace(
            function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
            aws_request_id=answer.headers["Lambda-Runtime-Aws-Request-Id"],
        )
        response = json.dumps(lambda_handler(event, context)).encode()
        api.request("POST", f"{root}{context.aws_request_id}/response", response)
        api.getresponse().read()


if __name__ == "__main__":
    main()
