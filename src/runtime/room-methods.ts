/** The methods of the API by the room that has them. One that is missing here is missing in the type of a VM. */

export const FILE_METHODS = [
  "readFile",
  "writeFile",
  "readFiles",
  "writeFiles",
  "stat",
  "lstat",
  "exists",
  "mkdir",
  "readdir",
  "readdirRecursive",
  "move",
  "delete",
  "deleteFile",
] as const;

export const FILE_TRANSFER_METHODS = [
  "beginFileRead",
  "readFileChunk",
  "beginFileWrite",
  "writeFileChunk",
  "commitFileWrite",
  "endFileTransfer",
] as const;

export const TAR_TRANSFER_METHODS = [
  "beginTarRead",
  "readTarChunk",
  "beginTarWrite",
  "writeTarChunk",
  "commitTarWrite",
] as const;

export const TREE_METHODS = [
  "snapshotRootFilesystem",
  "checkpoint",
  "restore",
  "createSnapshot",
  "listSnapshots",
  "deleteSnapshot",
  "restoreSnapshot",
  "diff",
  "undo",
  "exportTar",
  "exportSnapshot",
  "importTar",
  "withForkSource",
] as const;

export const WATCH_METHODS = ["watchFiles", "unwatchFiles", "listWatches"] as const;

export const COMMAND_METHODS = ["exec", "execArgv"] as const;

export const PROCESS_METHODS = [
  "spawn",
  "spawnProcess",
  "listProcesses",
  "getProcess",
  "writeProcessStdin",
  "closeProcessStdin",
  "waitProcess",
  "stopProcess",
  "killProcess",
  "signalProcess",
  "allProcesses",
  "processTree",
  "readProcessOutput",
] as const;

export const SHELL_METHODS = [
  "openShell",
  "connectTerminal",
  "writeShell",
  "resizeShell",
  "closeShell",
  "waitShell",
  "listShells",
  "readShell",
] as const;

export const NETWORK_METHODS = [
  "vmFetch",
  "listPorts",
  "waitForPort",
  "createPreview",
  "expireSignedPreviewUrl",
  "listPreviews",
  "setNetworkPolicy",
  "getNetworkPolicy",
  "getNetworkLog",
  "servePreview",
  "fetchPreview",
] as const;

export const CRON_METHODS = [
  "scheduleCron",
  "listCronJobs",
  "cancelCronJob",
  "listCronRuns",
  "runCronJob",
  "pauseCronJob",
  "resumeCronJob",
] as const;

export const SESSION_METHODS = [
  "createSession",
  "listSessions",
  "listPersistedSessions",
  "getSession",
  "resumeSession",
  "listAgents",
  "sendPrompt",
  "prompt",
  "cancelPrompt",
  "cancelSession",
  "closeSession",
  "destroySession",
  "respondPermission",
  "setMode",
  "setModel",
  "setThoughtLevel",
  "getModes",
  "getConfigOptions",
  "getSequencedEvents",
  "getSessionEvents",
] as const;
