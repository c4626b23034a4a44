#include "reports/commands/commands.h"

namespace ascendsim {

namespace {

constexpr const char* kConfigHelp =
    "config.json of MindIE Server, launch scripts of vLLM or SGLang, or our own YAML; - reads standard input";

constexpr Command kCommands[] = {
    {"run", "TTFT, TPOT, throughput and memory per rank of one deployment, and the reason for each number", "CONFIG...",
     kConfigHelp, 1, SIZE_MAX, kDeploymentOptions | kWorkloadOptions | kTopOption | kPairOptions | kFaultsOption,
     "--hardware --input --output",
     "ascendsim run config.json --hardware atlas-800i-a3 --input 64K --output 1K --env NPU_MEMORY_FRACTION=0.92",
     "times, memory and breakdown on stdout; exit 0, 1 when it does not fit, 2 on wrong input", answer_run},
    {"check", "is it legal for the engine, what will be ignored, and does it fit at its own limits", "CONFIG...",
     kConfigHelp, 1, SIZE_MAX, kDeploymentOptions | kDiagnosticFormats, "",
     "ascendsim check config.json --hardware atlas-800i-a2",
     "findings, a table of all keys and a verdict on stdout; exit 0 when legal, 2 when a rule is broken", answer_check},
    {"mem", "memory per rank by component, and the contexts and concurrency that fit", "CONFIG...", kConfigHelp, 1,
     SIZE_MAX, kDeploymentOptions | kWorkloadOptions | kPairOptions, "--hardware",
     "ascendsim mem config.json --hardware atlas-800i-a3 --env NPU_MEMORY_FRACTION=0.92",
     "tables on stdout; exit 0, 1 when it does not fit, 2 on wrong input", answer_mem},
    {"compare", "alternatives side by side: which is faster, by how much, because of what; where they cross",
     "CONFIG...", kConfigHelp, 1, SIZE_MAX, kDeploymentOptions | kWorkloadOptions | kCompareOptions | kPairOptions, "",
     "ascendsim compare config.json --vary cp=1,2 --input 4K..128K",
     "verdict and tables on stdout, pictures with --svg; exit 0, 1 when no alternative can run, 2 on wrong input",
     answer_compare},
    {"plan", "the fewest servers and the layout for contexts and concurrencies; a capacity table, without queues", "",
     "", 0, 0, kSettingOptions | kPlanOptions, "--model --hardware --context --concurrency",
     "ascendsim plan --model deepseek-r1 --quantisation w8a8 --hardware atlas-800i-a2,atlas-800i-a3 --context 8K,64K "
     "--concurrency 1,8,32",
     "tables on stdout; exit 0, 1 when no cell can be served, 2 on wrong input", answer_plan},
    {"ring", "runs attention, or whole layers, of a parallel strategy on real numbers and compares with one dense rank",
     "[FILE...]", "with --layer: deployment files, as --config", 0, SIZE_MAX,
     kRingOptions | kDeploymentOptions | kPairOptions, "",
     "ascendsim ring --strategy mindie-cp --cp 2 --sp 4 --tokens 512 --heads 8 --dtype fp16",
     "errors, FLOPs and bytes on stdout; exit 0, 1 when a tolerance or the ledger is broken, 2 on an impossible shape",
     answer_ring},
    {"collective", "one collective on the links of a cluster: time, bandwidth, steps, links, why this algorithm", "",
     "", 0, 0, kCollectiveOptions | kFaultsOption, "--op --ranks --hardware",
     "ascendsim collective --op all-gather --ranks 16 --bytes 64MiB --hardware atlas-800i-a3",
     "tables on stdout; exit 0, 2 on wrong input or an algorithm that is not defined for the group", answer_collective},
    {"convert", "any deployment file as our own YAML, with the meaning of every key", "FILE...", kConfigHelp, 1,
     SIZE_MAX, kDeploymentOptions | kWorkloadOptions | kSchemaOption | kPairOptions, "",
     "ascendsim convert config.json > deployment.yaml",
     "YAML on stdout, or the JSON Schema for editors with --schema; exit 0, 2 on wrong input", answer_convert},
    {"export", "the launch files of an engine for any deployment that is read here, with environment and benchmark",
     "CONFIG...", kConfigHelp, 1, SIZE_MAX, kDeploymentOptions | kWorkloadOptions | kPairOptions | kExportOptions,
     "--to --output-file", "ascendsim export config.json --to vllm -o launch/",
     "files in -o DIR, a list of them on stdout; exit 0, 2 when the engine cannot run the deployment: nothing is "
     "written then",
     answer_export},
    {"explain", "what a diagnostic code, a key or a metric means", "CODE|KEY|METRIC|file",
     "E0303, layout.tp, maxSeqLen, ttft; file lists all keys of our deployment file", 1, 1, 0, "",
     "ascendsim explain E0303", "text on stdout; exit 0, 2 when it is not known", answer_explain},
    {"validate", "predictions against published measurements: errors, medians, bars", "[FILE...]",
     "cases as docs/validation-cases.md describes them; those of the project by default", 0, SIZE_MAX, kCaseOptions, "",
     "ascendsim validate --case cm384-decode-4k-8 --explain",
     "tables on stdout; exit 0, 1 when a judged bar is missed, 2 on a wrong case file", answer_validate},
    {"schedule", "what an engine's scheduler decides, step by step, on the requests of a recording", "FILE",
     "a recording of the scheduler of vLLM, SGLang or MindIE; - reads standard input", 1, 1, 0, "",
     "ascendsim schedule tests/data/schedules/vllm/a01-chunk-three.json",
     "the recording again on stdout, with the steps that are decided here; exit 0, 2 on wrong input or where nothing "
     "can go on",
     answer_schedule},
    {"list", "what is known", "[hardware|models|engines|collectives [NAME]]",
     "what to list, everything by default; with the name of a server or "
     "die every figure with its source",
     0, 2, kGraphOptions | kFaultsOption, "",
     "ascendsim list hardware atlas-800i-a3\n  ascendsim list hardware cloudmatrix384 --servers 48 --graph svg -o "
     "fabric.svg",
     "tables, or a picture, on stdout; exit 0", answer_list},
};

}  // namespace

std::span<const Command> builtin_commands() { return kCommands; }

}  // namespace ascendsim
