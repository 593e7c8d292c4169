#include "pi_trace.h" /* the target is its header; SwiftPM wants a source file */
