import { expect, test } from "vitest";
import type { SecretPart } from "../../../../../src/api/methods/secrets.ts";
import { Placeholders } from "../../../../../src/runtime/network/outbound/credentials/placeholders.ts";
import { CredentialRules } from "../../../../../src/runtime/network/outbound/credentials/rules.ts";

const PARTS: SecretPart[] = ["headers", "query", "body"];

const placeholdersOf = (value: string) => {
  const rules = new CredentialRules({}, { K: { value, hosts: ["api.test"], placeholderIn: PARTS } });
  return new Placeholders(rules.placeOf({ host: "api.test", port: 443 })?.credentials ?? []);
};

const TEXT = "AGENT_SECRET_K";

test("placeholders of a long value make a request longer by at most 64 KiB in all", () => {
  const value = "v".repeat(16 * 1024);
  const placeholders = placeholdersOf(value);
  expect(placeholders.inHeader("x-key", TEXT)).toBe(value);
  expect(placeholders.inTarget(`/?key=${TEXT}`)).toBe(`/?key=${value}`);
  expect(placeholders.inBody(Buffer.from(TEXT), "text/plain").toString()).toBe(value);
  placeholders.inHeader("x-key", TEXT);
  expect(() => placeholders.inHeader("x-key", TEXT)).toThrow("MAX_PLACEHOLDER_GROWTH_BYTES");
  expect(() => placeholdersOf(value).inBody(Buffer.from(`${TEXT},`.repeat(70_000)), "text/plain")).toThrow(
    "MAX_PLACEHOLDER_GROWTH_BYTES",
  );
});

test("a body may have any number of placeholders of a short value", () => {
  const body = placeholdersOf("short").inBody(Buffer.from(`${TEXT},`.repeat(50_000)), "text/plain");
  expect(body.equals(Buffer.from("short,".repeat(50_000)))).toBe(true);
});
