import { ARCHITECTURES } from "../../system-calls.ts";
import { findHostNode } from "../boot/host-node.ts";
import { readProc } from "../procfs/procfs.ts";
import { missingTools } from "../tools.ts";
import { type Check, required, wanted } from "./check.ts";

export function checkPlatform(): Check {
  const ok = process.platform === "linux" && ARCHITECTURES.some((arch) => arch === process.arch);
  const release = (readProc("/proc/sys/kernel/osrelease") ?? readProc("/proc/version") ?? "").trim();
  return required({
    name: "Linux",
    ok,
    detail: ok ? release : `this is ${process.platform} on ${process.arch}`,
    fixes: [
      `The kernel sandbox runs on Linux on ${ARCHITECTURES.join(" and ")} only. On other systems use runtime: "memory".`,
    ],
  });
}

export function checkTools(): Check {
  const missing = missingTools();
  return required({
    name: "programs",
    ok: missing.length === 0,
    detail:
      missing.length === 0
        ? "util-linux, coreutils, a shell and perl found"
        : `missing: ${missing.join(", ")}`,
    fixes: ["Install util-linux, mount, bsdutils, coreutils and perl (on Fedora also util-linux-script)."],
  });
}

export function checkChildren(): Check {
  const ok = readProc(`/proc/${process.pid}/task/${process.pid}/children`) !== undefined;
  const detail = ok ? "readable" : "missing";
  return required({
    name: "list of children",
    ok,
    detail,
    fixes: ["The kernel must be built with CONFIG_PROC_CHILDREN."],
  });
}

export function checkNode(): Check {
  const { hasNpm } = findHostNode();
  const detail = `node ${process.version}${hasNpm ? ", npm and npx" : ", no npm on this host"}`;
  return wanted({
    name: "Node inside",
    isThere: hasNpm,
    detail,
    fixes: ["Install npm beside the server's Node."],
  });
}
