// @module-tag any-user
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { hostCertificates } from "../../../src/runtime/sandbox/host-certificates.ts";
import { fileVm } from "../../support/vm.ts";

const machine = fileVm();
const { env } = hostCertificates();

test.each(["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"])(
  "names the bundle %s to programs",
  (bundle) => {
    const { env } = hostCertificates((path) => path === bundle);
    expect(env).toEqual({ NODE_EXTRA_CA_CERTS: bundle, SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle });
  },
);

test("a host without authorities names none", () => {
  expect(hostCertificates(() => false)).toEqual({});
});

const NODE = `
const { readFileSync } = require("node:fs"), { X509Certificate } = require("node:crypto"), tls = require("node:tls");
const ids = (list) => list.map((pem) => new X509Certificate(pem).fingerprint256);
const host = readFileSync(process.env.SSL_CERT_FILE, "utf8").match(/-----BEGIN CERT[^]*?-----END CERTIFICATE-----/g);
const known = new Set(ids(tls.getCACertificates("default")));
console.log(host.length > 0, ids(host).filter((id) => !known.has(id)).length);
`;

test.skipIf(env === undefined)("Node in a VM trusts every authority of the host", async () => {
  expect((await machine().vm.execArgv("node", ["-e", NODE])).stdout).toBe("true 0\n");
});

const LIST = "keytool -list -cacerts -storepass changeit 2>/dev/null | grep -c trustedCertEntry";

test("Java in a VM trusts the authorities of the host's Java", { tags: ["slow"] }, async ({ skip }) => {
  skip(!existsSync("/usr/bin/keytool"), "the host has no keytool");
  const { stdout } = spawnSync("sh", ["-c", LIST], { encoding: "utf8" });
  expect(Number(stdout)).toBeGreaterThan(0);
  expect((await machine().vm.exec(LIST)).stdout).toBe(stdout);
});
