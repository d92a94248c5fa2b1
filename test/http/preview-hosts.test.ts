// @module-tag attack
import { expect, test } from "vitest";
import { PreviewHosts } from "../../src/http/preview-hosts.ts";

const TOKEN = "abcdefghijklmnopqrstuvwxyz234567";
const ACTOR = "0123456789abcdef";
const LABEL = `${TOKEN}-${ACTOR}`;
const urlOf = (domain: string | undefined, endpoint: string) =>
  PreviewHosts.of(domain, endpoint)?.urlOf(ACTOR, TOKEN);

test.each([
  [undefined, "http://127.0.0.1:6420", `http://${LABEL}.localhost:6420/`],
  [undefined, "http://localhost:6420", `http://${LABEL}.localhost:6420/`],
  [undefined, "https://[::1]", `https://${LABEL}.localhost/`],
  [undefined, "http://127.0.0.2:6420", undefined],
  [undefined, "https://vms.example.com", undefined],
  [undefined, "http://localhost:8080/below", undefined],
  ["none", "http://localhost:6420", undefined],
  ["*.Preview.example.com", "http://127.0.0.1:6420", `http://${LABEL}.preview.example.com:6420/`],
  ["*.preview.example.com", "https://vms.example.com/a", `https://${LABEL}.preview.example.com/`],
  ["https://*.preview.example.com", "http://127.0.0.1:6420", `https://${LABEL}.preview.example.com/`],
  ["*.preview.example.com:8443", "https://vms.example.com", `https://${LABEL}.preview.example.com:8443/`],
])("with the domain %s and the server %s makes %s", (domain, endpoint, expected) => {
  expect(urlOf(domain, endpoint)).toBe(expected);
});

test.each([
  "",
  "preview.example.com",
  "*",
  "*.",
  "*.a/b",
  "*.a:0",
  "*.a:65536",
  "*.a b",
  "ftp://*.a",
  "*.*.a",
])("refuses the domain %j", (domain) => {
  expect(() => PreviewHosts.of(domain, "http://localhost:6420")).toThrow(/previewDomain/);
});

test("refuses a domain that is the server's own name or above it, where pages could set cookies for the server", () => {
  for (const domain of ["*.example.com", "*.vms.example.com"])
    expect(() => PreviewHosts.of(domain, "https://vms.example.com")).toThrow(/own name vms.example.com/);
  expect(PreviewHosts.of("*.preview.example.com", "https://vms.example.com")).toBeDefined();
});

test("a token or an actor that a host name would change has no host name", () => {
  const hosts = PreviewHosts.of(undefined, "http://localhost:6420");
  expect(hosts?.urlOf(ACTOR, TOKEN.toUpperCase())).toBeUndefined();
  expect(hosts?.urlOf("Actor", TOKEN)).toBeUndefined();
});

test.each([
  [`${LABEL}.localhost:6420`, { token: TOKEN, actorId: ACTOR }],
  [`${LABEL}.localhost`, { token: TOKEN, actorId: ACTOR }],
  [`${LABEL.toUpperCase()}.LocalHost.:1`, { token: TOKEN, actorId: ACTOR }],
  ["x.localhost", "unknown"],
  [`a.${LABEL}.localhost`, "unknown"],
  [`${LABEL}-x.localhost`, "unknown"],
  [".localhost", "unknown"],
  ["localhost:6420", undefined],
  ["localhost.", undefined],
  ["127.0.0.1:6420", undefined],
  [`${LABEL}.localhost.evil.test`, undefined],
  [`${LABEL}.evillocalhost`, undefined],
  [undefined, undefined],
])("reads the Host %s as %s", (host, expected) => {
  expect(PreviewHosts.of(undefined, "http://localhost:6420")?.find(host)).toEqual(expected);
});
