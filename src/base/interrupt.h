// Ctrl-C and SIGTERM: the first asks for a stop at the next safe point, the second ends at once.
#pragma once

#include "base/result.h"

namespace trimma {

// Installs the handlers, and ignores SIGPIPE and SIGXFSZ. Call once, in main.
void InstallInterruptHandlers();

// The signal that asked for a stop, or 0.
int InterruptSignal();

// kInterrupted or kTerminated once a stop was asked for; ok otherwise.
Status CheckInterrupted();

// Whether an error is such a stop, which ends everything; others may be results.
bool IsInterrupt(const Error& error);

}  // namespace trimma
