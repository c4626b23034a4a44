#include "reports/commands/commands.h"
namespace ascendsim {
Reply answer_plan(const Options&, Diagnostics&) { return {}; }
}
