// Creates a container: node azurite.mjs ENDPOINT CONTAINER, with the account's key in the environment.
// The signature is that of "Authorize with Shared Key" in Microsoft's documentation of Blob Storage.
import { createHmac } from "node:crypto";

const [endpoint, container] = process.argv.slice(-2);
const url = new URL(`${endpoint}/${container}?restype=container`);
const account = new URL(endpoint).pathname.slice(1);
const date = new Date().toUTCString();
const version = "2021-12-02";
const unset = "\n".repeat(12); // verb's end, and eleven standard headers that are not sent
const headers = `x-ms-date:${date}\nx-ms-version:${version}\n`;
// An emulator has the account in its path, and therefore twice here.
const text = `PUT${unset}${headers}/${account}${url.pathname}\nrestype:container`;
const key = Buffer.from(process.env.AZURE_STORAGE_ACCOUNT_KEY, "base64");
const signature = createHmac("sha256", key).update(text, "utf8").digest("base64");
const answer = await fetch(url, {
  method: "PUT",
  headers: {
    "x-ms-date": date,
    "x-ms-version": version,
    authorization: `SharedKey ${account}:${signature}`,
  },
});
if (answer.status !== 201) {
  throw new Error(`${answer.status}: ${await answer.text()}`);
}
