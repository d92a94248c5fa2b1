import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { readEnvironment } from "../../src/http/environment.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** Path of a value in a parsed file, `undefined` if it is not there. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (found, key) => (found as Record<string | number, unknown> | undefined)?.[key],
    value,
  );
}

const dockerfile = read("Dockerfile");
const imageEnv = Object.fromEntries(
  (/^ENV (.*)$/m.exec(dockerfile)?.[1] ?? "").split(" ").map((pair) => pair.split("=")),
) as Record<string, string>;
const compose = at(parse(read("compose.yaml")), "services", "agent-vm");
const pod = at(parse(read("deploy/kubernetes/statefulset.yaml")), "spec", "template", "spec");
const container = at(pod, "containers", 0);

test("the image sets variables that the server reads", () => {
  const { host, port, dataDir } = readEnvironment(imageEnv);
  expect(host).toBe("0.0.0.0");
  expect(dockerfile).toContain(`EXPOSE ${port}\n`);
  expect(dockerfile).toContain(`VOLUME ${dataDir}\n`);
});

test("every variable in the files is documented", () => {
  const documented = read("docs/configuration.md");
  const files = [
    "Dockerfile",
    "compose.yaml",
    "compose.scale.yaml",
    "deploy/kubernetes/statefulset.yaml",
    "deploy/fleet/front.yaml",
    "deploy/fleet/servers.yaml",
  ]
    .map(read)
    .join("\n");
  const names = new Set(files.match(/\bAGENT_VM_[A-Z_]+/g));
  expect(names.size).toBeGreaterThan(2);
  expect([...names].filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});

test("compose and Kubernetes use the port and the data folder of the image", () => {
  expect(at(compose, "ports")).toEqual([`127.0.0.1:${imageEnv.PORT}:${imageEnv.PORT}`]);
  expect(at(compose, "volumes")).toEqual([`data:${imageEnv.AGENT_VM_DATA}`]);
  expect(at(container, "ports", 0, "containerPort")).toBe(Number(imageEnv.PORT));
  expect(at(container, "volumeMounts", 0, "mountPath")).toBe(imageEnv.AGENT_VM_DATA);
  expect(at(parse(read("deploy/kubernetes/service.yaml")), "spec", "ports", 0, "port")).toBe(
    Number(imageEnv.PORT),
  );
});

test("compose and Kubernetes wait for the whole shutdown", () => {
  // DRAIN_TIMEOUT_MS, and 60 s for the VMs.
  expect(at(compose, "stop_grace_period")).toBe("70s");
  expect(at(pod, "terminationGracePeriodSeconds")).toBe(70);
});

test("containers have an ordinary user without capabilities, both profiles and a whole /proc", () => {
  expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  expect(at(compose, "cap_drop")).toEqual(["ALL"]);
  expect(at(compose, "security_opt")).toEqual([
    "no-new-privileges:true",
    "seccomp=deploy/seccomp.json",
    "systempaths=unconfined",
    "apparmor=agent-vm",
  ]);
  expect(at(pod, "hostUsers")).toBe(false);
  expect(at(pod, "securityContext")).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: "Localhost", localhostProfile: "agent-vm.json" },
    appArmorProfile: { type: "Localhost", localhostProfile: "agent-vm" },
  });
  expect(at(container, "securityContext")).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
    procMount: "Unmasked",
  });
  expect(read("deploy/apparmor/agent-vm")).toMatch(/^profile agent-vm /m);
});

test("the kustomization lists the other manifests, which are whole", () => {
  const names = at(parse(read("deploy/kubernetes/kustomization.yaml")), "resources") as string[];
  const kinds = names.map((name) => at(parse(read(`deploy/kubernetes/${name}`)), "kind"));
  expect(kinds).toEqual(["StatefulSet", "Service", "NetworkPolicy"]);
});

const fleet = at(parse(read("compose.scale.yaml"), { merge: true }), "services") as Record<string, unknown>;
const SERVERS = ["server-1", "server-2"];
const documentsOf = (path: string) =>
  parseAllDocuments(read(path)).map((document) => document.toJS() as unknown);

test("the fleet of compose has the walls of the one server, and waits for the whole shutdown", () => {
  for (const name of [...SERVERS, "front"]) {
    for (const key of [
      "cap_drop",
      "security_opt",
      "stop_grace_period",
      "read_only",
      "mem_limit",
      "pids_limit",
    ])
      expect([name, key, at(fleet[name], key)]).toEqual([name, key, at(compose, key)]);
    expect(at(fleet[name], "environment")).toMatchObject({
      RIVET_ENGINE: "http://engine:6420",
      AGENT_VM_PUBLIC_URL: expect.stringContaining("http://localhost:6420"),
    });
  }
  // Clients reach the front alone.
  expect(Object.keys(fleet).filter((name) => at(fleet[name], "ports") !== undefined)).toEqual(["front"]);
  expect(at(fleet.front, "ports")).toEqual(at(compose, "ports"));
});

test("the servers read the variables of the fleet", () => {
  for (const name of SERVERS) {
    const { peers, vms, secret } = readEnvironment(at(fleet[name], "environment") as NodeJS.ProcessEnv);
    expect({ vms, advertise: peers?.advertise, host: peers?.host }).toEqual({
      vms: true,
      advertise: `http://${name}:6421`,
      host: "0.0.0.0",
    });
    expect(secret).toBeDefined();
  }
  expect(readEnvironment(at(fleet.front, "environment") as NodeJS.ProcessEnv).vms).toBe(false);
});

test("every manifest starts the engine with the same version, the thresholds of the documentation, and an admin token", () => {
  const { pegboard, guard } = JSON.parse(read("deploy/fleet/config.json")) as Record<string, object>;
  expect(guard).toEqual({ tcp_nodelay: true });
  const documented = read("docs/scale.md");
  for (const [name, value] of Object.entries(pegboard ?? {}))
    expect(documented).toContain(`| \`${name}\` | ${Number(value).toLocaleString("en")} |`);
  const [engine] = documentsOf("deploy/fleet/engine.yaml");
  const engineContainer = at(engine, "spec", "template", "spec", "containers", 0);
  expect(at(engineContainer, "image")).toBe(at(fleet.engine, "image"));
  expect(at(engineContainer, "args")).toEqual(at(fleet.engine, "command"));
  expect(JSON.stringify(at(engineContainer, "env"))).toContain("RIVET__AUTH__ADMIN_TOKEN");
  expect(at(fleet.engine, "environment")).toHaveProperty("RIVET__AUTH__ADMIN_TOKEN");
  expect(read("deploy/systemd/rivet-engine.service")).toContain("deploy/fleet/config.json start");
});

test("the kustomization of the fleet lists its manifests, and its servers advertise the port that its policy opens", () => {
  const kustomization = parse(read("deploy/fleet/kustomization.yaml"));
  const resources = at(kustomization, "resources") as string[];
  const kinds = resources
    .filter((name) => name.endsWith(".yaml"))
    .flatMap((name) => documentsOf(`deploy/fleet/${name}`).map((document) => at(document, "kind")));
  expect(kinds).toEqual(["StatefulSet", "Service", "NetworkPolicy", "Deployment"]);
  const patches = at(kustomization, "patches") as { path?: string; patch?: string }[];
  for (const { patch } of patches) if (patch !== undefined) expect(parse(patch)).toBeInstanceOf(Array);
  expect(patches.map(({ patch }) => patch ?? "").join()).toContain("port: 6421");
  const servers = parse(read("deploy/fleet/servers.yaml"));
  const patched = at(servers, "spec", "template", "spec", "containers", 0, "env") as {
    name: string;
    value?: string;
  }[];
  expect(patched.find(({ name }) => name === "AGENT_VM_ADVERTISE")?.value).toBe("http://$(POD_IP):6421");
  const frontPod = at(parse(read("deploy/fleet/front.yaml")), "spec", "template", "spec");
  expect(at(frontPod, "terminationGracePeriodSeconds")).toBe(70);
  const names = (at(frontPod, "containers", 0, "env") as { name: string }[]).map(({ name }) => name);
  const publicUrl = expect.objectContaining({ name: "AGENT_VM_PUBLIC_URL" });
  for (const env of [patched, at(frontPod, "containers", 0, "env")])
    expect(env).toEqual(expect.arrayContaining([publicUrl]));
  expect(names).toEqual(expect.arrayContaining(["AGENT_VM_VMS", "AGENT_VM_PEER_SECRET", "AGENT_VM_SECRET"]));
});

const hasKubectl = spawnSync("kubectl", ["kustomize", "--help"]).status === 0;

test.skipIf(!hasKubectl)("kubectl puts the manifests of the fleet together", () => {
  const { status, stdout, stderr } = spawnSync("kubectl", ["kustomize", "deploy/fleet"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const made = parseAllDocuments(stdout).map((document) => document.toJS() as unknown);
  const find = (kind: string, name: string) =>
    made.find((each) => at(each, "kind") === kind && at(each, "metadata", "name") === name);
  const server = find("StatefulSet", "agent-vm");
  expect(at(server, "spec", "replicas")).toBe(2);
  const env = at(server, "spec", "template", "spec", "containers", 0, "env") as { name: string }[];
  const names = env.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["AGENT_VM_TOKEN", "AGENT_VM_ADVERTISE", "RIVET_ENGINE"]));
  // Kubernetes expands `$(POD_IP)` only behind its definition.
  expect(names.indexOf("POD_IP")).toBeLessThan(names.indexOf("AGENT_VM_ADVERTISE"));
  expect(at(find("Service", "agent-vm"), "spec", "selector")).toEqual({
    "app.kubernetes.io/name": "agent-vm-front",
  });
});
