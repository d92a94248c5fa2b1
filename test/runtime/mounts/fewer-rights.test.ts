// @module-tag slow
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { freePort } from "../../support/free-port.ts";
import { isRoot } from "../../support/host.ts";

const EXAMPLE = fileURLToPath(new URL("../../../examples/mounts.ts", import.meta.url));
const FEW_CAPABILITIES = ["--bounding-set=-sys_admin", "--inh-caps=-all", "--"];

test.runIf(isRoot)("a root server without CAP_SYS_ADMIN mounts folders, volumes and overlays", async () => {
  const program = [process.execPath, "--conditions=agent-vm-source", EXAMPLE];
  const env = { ...process.env, PORT: String(await freePort()) };
  const output = execFileSync("setpriv", [...FEW_CAPABILITIES, ...program], { env, encoding: "utf8" });
  expect(output).toBe(
    "from this machine\nfrom this machine\nfrom the VM\n[ 'added /mnt/project/file', 'deleted /mnt/project/note' ]\nshared\n",
  );
});
