/** The part of RivetKit's runner that this file changes. */
export interface AnnouncedRunner {
  readonly config: { metadata?: Record<string, unknown> };
  start(): Promise<void>;
}

/**
 * Makes the runner that a function starts tell the engine something about this server. The engine's list of runners shows it.
 *
 * For RivetKit 2.2, whose driver makes and starts its runner with metadata of its own alone.
 *
 * @param prototype prototype of RivetKit's runners
 */
export function withRunnerMetadata<Made>(
  prototype: AnnouncedRunner,
  metadata: Record<string, unknown>,
  make: () => Made,
): Made {
  const { start } = prototype;
  prototype.start = function (this: AnnouncedRunner) {
    this.config.metadata = { ...this.config.metadata, ...metadata };
    return start.call(this);
  };
  try {
    return make();
  } finally {
    prototype.start = start;
  }
}
