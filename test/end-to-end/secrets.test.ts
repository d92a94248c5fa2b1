// @module-tag slow
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeCertificate } from "../support/certificate.ts";
import { startOutside } from "../support/outside.ts";
import { startTestServer } from "../support/servers.ts";
import { dataFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const VALUE = "sk-value-0123456789";

test("a secret from a client reaches its host, and neither storage, audit, status, errors, snapshots nor forks", async () => {
  const tls = await makeCertificate("localhost", "host.agent-vm");
  const { port, requests } = await startOutside(undefined, tls);
  const dataDir = dataFolder();
  const seen: unknown[] = [];
  const server = await startTestServer({
    kind: "kernel",
    vm: { network: { outbound: { allow: [`host.agent-vm:${port}`] }, ca: tls.cert } },
    options: { dataDir, audit: { onEvent: (event) => void seen.push(event), details: true } },
  });
  const client = server.client();
  const vm = client.vm.getOrCreate("mine");
  const host = `host.agent-vm:${port}`;
  await vm.setSecrets({ KEY: { value: VALUE, hosts: [host], headers: { "x-key": "{secret}" } } });
  const keyOf = async (from = vm) => {
    const { exitCode } = await from.exec(`curl -sS https://${host}/`);
    return [exitCode, requests.at(-1)?.headers["x-key"]];
  };
  expect(await keyOf()).toEqual([0, VALUE]);
  await vm.sleep();
  expect(await keyOf()).toEqual([0, VALUE]);
  for (const wrong of [
    { KEY: VALUE },
    { KEY: { value: [VALUE], hosts: [host] } },
    { KEY: { value: `${VALUE}\n`, hosts: [host] } },
    { KEY: { value: VALUE, hosts: [VALUE, "a b"] } },
    { KEY: { value: VALUE, hosts: [host], headers: { "x\n": VALUE } } },
    { KEY: { value: VALUE, hosts: [host], headers: { host: VALUE } } },
    { KEY: { value: VALUE, hosts: [host], paths: [VALUE] } },
    { "K-Y": { value: VALUE, hosts: [host] } },
    { KEY: { value: VALUE, hosts: [host], more: VALUE } },
    { KEY: { value: "short", hosts: [host], mask: true } },
    [VALUE],
    VALUE,
  ]) {
    const error = await failure(vm.setSecrets(wrong as never));
    expect(error.code).toBe("invalid_argument");
    seen.push(error.message, JSON.stringify(error));
  }
  await vm.createSnapshot("with-secret");
  const fork = await vm.fork("other");
  const other = client.vm.getOrCreate(fork.key);
  expect(await other.listSecrets()).toEqual([]);
  seen.push(await vm.status(), await vm.listSecrets(), await vm.getNetworkPolicy(), await vm.listSnapshots());
  seen.push(await client.vm.list(), await vm.exportSnapshot(), await vm.snapshotRootFilesystem(), server.log);
  expect(JSON.stringify(seen)).not.toContain(VALUE);
  await server.stop();
  for (const entry of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) expect(readFileSync(join(entry.parentPath, entry.name)).includes(VALUE)).toBe(false);
  }
});
