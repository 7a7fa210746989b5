"""Sets up a moto server: python moto.py ENDPOINT POLICY PREFIX BUCKET VERSIONED; prints the key.

Makes seven requests with a key that nobody has. The server lets just as many pass, and has to refuse
the eighth.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, policy_file, prefix, bucket, versioned = sys.argv[1:]
options = {
    "endpoint_url": endpoint,
    "region_name": "us-east-1",
    "aws_access_key_id": "nobody",
    "aws_secret_access_key": "nothing",
}
once = {"max_attempts": 0}
iam = boto3.client("iam", **options, config=Config(retries=once))
s3 = boto3.client("s3", **options, config=Config(retries=once, s3={"addressing_style": "path"}))

with open(policy_file, encoding="utf-8") as file:
    policy = file.read().replace("PREFIX", prefix)

iam.create_user(UserName="xgene")
for name in (bucket, versioned):
    s3.create_bucket(Bucket=name)
    iam.put_user_policy(
        UserName="xgene", PolicyName=name, PolicyDocument=policy.replace("BUCKET", name)
    )
s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
key = iam.create_access_key(UserName="xgene")["AccessKey"]
try:
    s3.list_objects_v2(Bucket=bucket)
except ClientError as refusal:
    if refusal.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
        raise
else:
    sys.exit("moto lets strangers in")
print(key["AccessKeyId"], key["SecretAccessKey"])
