import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import type { OutboundPolicy } from "../../../../src/api/methods/network.ts";
import { canonicalHost, parseNetworkRule } from "../../../../src/api/network-rule.ts";
import { OutboundRules } from "../../../../src/runtime/network/outbound/rules.ts";

describe("canonicalHost", () => {
  test.each([
    ["Example.COM.", "example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["ⓛocalhost", "localhost"],
    ["127。0。0。1", "127.0.0.1"],
    ["127.1", "127.0.0.1"],
    ["2130706433", "127.0.0.1"],
    ["0x7f.0.0.1", "127.0.0.1"],
    ["0177.0.0.01", "127.0.0.1"],
    ["127.0.0.1.", "127.0.0.1"],
    ["0", "0.0.0.0"],
    ["[::FFFF:127.0.0.1]", "127.0.0.1"],
    ["::ffff:7f00:1", "127.0.0.1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["[FD00:EC2::254]", "fd00:ec2::254"],
  ])("turns %s into %s", (host, canonical) => expect(canonicalHost(host)).toBe(canonical));

  test.each([
    "",
    "a b",
    "a/b",
    "a@b",
    "a:80",
    "a%00b",
    "fe80::1%eth0",
    "256.1.1.1",
    "[::1",
    ".",
    "a#b",
    "a\nb",
    "localhost..",
    "localhost...",
    "a..example",
    ".example",
    "127.0.0.1..",
    "..",
  ])("rejects %j", (host) => expect(canonicalHost(host)).toBeUndefined());
});

test.each<[string, object | undefined]>([
  ["api.example.com", { kind: "name", host: "api.example.com", port: undefined }],
  ["*.Example.com:443", { kind: "below", host: "example.com", port: 443 }],
  ["*", { kind: "any" }],
  ["*:443", { kind: "any", port: 443 }],
  ["10.0.0.0/8:5432", { kind: "ipv4", host: "10.0.0.0", bits: 8, port: 5432 }],
  ["192.0.2.1", { kind: "ipv4", bits: 32, port: undefined }],
  ["fd00::/8", { kind: "ipv6", host: "fd00::", bits: 8, port: undefined }],
  ["[fd00::/8]:443", { kind: "ipv6", bits: 8, port: 443 }],
  ["[::1]:80", { kind: "ipv6", host: "::1", bits: 128, port: 80 }],
  ["", undefined],
  ["http://x", undefined],
  ["x:0", undefined],
  ["x:65536", undefined],
  ["x/8", undefined],
  ["1.2.3.4/33", undefined],
  ["a.*.b", undefined],
  ["*.1.2.3.4", undefined],
])("parses the rule %s", (text, rule) => {
  if (rule === undefined) expect(parseNetworkRule(text)).toBeUndefined();
  else expect(parseNetworkRule(text)).toMatchObject(rule);
});

const named = (policy: OutboundPolicy, host: string, port = 443) =>
  new OutboundRules(policy).refuseName(host, port) === undefined;
const addressed = (policy: OutboundPolicy, address: string, port = 443, isNamed = false) =>
  new OutboundRules(policy).refuseAddress(address, port, isNamed ? "a.example" : undefined) === undefined;

test("allows and denies names", () => {
  const policy = { allow: ["api.example.com:443", "*.npm.example"], deny: ["bad.npm.example"] };
  expect(named(policy, "api.example.com")).toBe(true);
  expect(named(policy, "api.example.com", 80)).toBe(false);
  expect(named(policy, "api.example.com.evil.example")).toBe(false);
  expect(named(policy, "a.b.npm.example")).toBe(true);
  expect(named(policy, "npm.example")).toBe(false);
  expect(named(policy, "evilnpm.example")).toBe(false);
  expect(named(policy, "bad.npm.example")).toBe(false);
  expect([named("none", "x"), named("all", "x"), named({ allow: ["*"] }, "x")]).toEqual([false, true, true]);
});

test("allows and denies addresses", () => {
  const policy = { allow: ["10.0.0.0/8:5432", "fd12::/16"], deny: ["10.9.0.0/16"] };
  expect(addressed(policy, "10.1.2.3", 5432)).toBe(true);
  expect(addressed(policy, "10.1.2.3", 80)).toBe(false);
  expect(addressed(policy, "10.9.2.3", 5432)).toBe(false);
  expect(addressed(policy, "fd12::5")).toBe(true);
  expect(addressed(policy, "8.8.8.8")).toBe(false);
  // The address of an allowed name needs no rule, but a denied range stays denied.
  expect(addressed(policy, "8.8.8.8", 443, true)).toBe(true);
  expect(addressed(policy, "10.9.0.1", 443, true)).toBe(false);
});

const machine = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .map(({ address }) => address.replace(/%.*/, ""));

test.each([
  ...[
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.1.1",
    "168.63.129.16",
    "100.100.100.200",
  ],
  ...["224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1", "fd00:ec2::254"],
  ...["fd20:ce::254", "fd00:42::42", "192.0.0.192"],
  ...["64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", ...machine],
])("only a rule with its address and port opens %s", (address) => {
  for (const policy of ["all", { allow: ["*", "0.0.0.0/0", "::/0", "127.0.0.0/8"] }] as OutboundPolicy[]) {
    expect(addressed(policy, address, 443, true)).toBe(false);
    expect(addressed(policy, address)).toBe(false);
  }
  const own = address.includes(":") ? `[${address}]:443` : `${address}:443`;
  expect(addressed({ allow: [own] }, address)).toBe(true);
  expect(addressed({ allow: [own] }, address, 80)).toBe(false);
  expect(addressed({ allow: [own], deny: [address] }, address)).toBe(false);
});
