// The catalogue of graphics cards: a table, nothing else.
//
// Rates. NVIDIA's tensor cores do FP16 with FP32 accumulate at half their FP16 rate on GeForce
// cards and at full rate on all others; rates of GeForce cards are boost clock x units x
// operations, which gives the figures of NVIDIA's architecture papers (2080 Ti 53.8 at
// reference clocks, 3090 71, 4090 165.2, 5090 209.5). Sparsity is never counted. Laptop cards
// run below their figures where the laptop's maker gives them less power.
//
// Multiprocessors. CUDA cores by 128, on P100, Volta, Turing, A100 and A30 by 64. Where a rate is
// given it is about multiprocessors x clock x operations: cards_test.cc looks at the clock. The
// A10G has 80 (PyTorch's multi_processor_count), although some tables give it the 72 of the A10.
//
// Readings. Drivers keep a part of the memory. All readings are from Linux, out of published
// logs; of several of one card the lowest is here, because newer drivers report less (RTX 3090:
// once 24259 MiB, now 24121 to 24126; RTX 2060: once 5934, then 5918, now 5738). Windows reports
// nearly all that is sold (RTX 2060 6143 MiB, RTX 4090 24563, RTX 5090 32606), but keeps as much
// or more out of what is free.
#include "hardware/cards.h"

namespace trimma {
namespace {

using enum Vendor;

constexpr const char* kTpu = "TechPowerUp GPU database";
constexpr const char* kAiTops = "TechPowerUp GPU database; rate from NVIDIA's AI TOPS";
constexpr const char* kSheet = "NVIDIA data sheet";
constexpr const char* kAmdSite = "AMD product page";
constexpr const char* kIntelSite = "Intel product page; rate: half of its INT8 TOPS";
constexpr const char* kAppleSite = "Apple press release";

constexpr const char* kLog = "log of llama.cpp";
constexpr const char* kTorch = "log of PyTorch";
constexpr const char* kOurs = "cudaMemGetInfo, our run";

constexpr Card kCards[] = {
    // GeForce GTX 10 and TITAN, Pascal: FP32 (FP16 runs at a 64th of it).
    {"NVIDIA GeForce GTX 1050", kNvidia, 2048, 112.1, 610, 5, 1.9, kTpu},
    {"NVIDIA GeForce GTX 1050 3GB", kNvidia, 3072, 84.1, 610, 6, 2.3, kTpu},
    {"NVIDIA GeForce GTX 1050 Ti", kNvidia, 4096, 112.1, 610, 6, 2.1, kTpu, 4038, kLog},
    {"NVIDIA GeForce GTX 1060 6GB", kNvidia, 6144, 192.2, 610, 10, 4.4, kTpu, 6063, kLog},
    {"NVIDIA GeForce GTX 1060 3GB", kNvidia, 3072, 192.2, 610, 9, 3.9, kTpu},
    {"NVIDIA GeForce GTX 1070", kNvidia, 8192, 256.3, 610, 15, 6.5, kTpu},
    {"NVIDIA GeForce GTX 1070 Ti", kNvidia, 8192, 256.3, 610, 19, 8.2, kTpu},
    {"NVIDIA GeForce GTX 1080", kNvidia, 8192, 320.3, 610, 20, 8.9, kTpu, 8098, kLog},
    {"NVIDIA GeForce GTX 1080 Ti", kNvidia, 11264, 484.4, 610, 28, 11.3, kTpu, 11172, kTorch},
    {"NVIDIA TITAN Xp", kNvidia, 12288, 547.6, 610, 30, 12.1, kTpu, 12186, kTorch},
    {"NVIDIA GeForce GTX 1050 Ti Laptop GPU", kNvidia, 4096, 112.1, 610, 6, 2.5, kTpu},
    {"NVIDIA GeForce GTX 1060 Laptop GPU", kNvidia, 6144, 192.2, 610, 10, 4.3, kTpu},
    {"NVIDIA GeForce GTX 1070 Laptop GPU", kNvidia, 8192, 256.3, 610, 16, 6.7, kTpu},
    {"NVIDIA GeForce GTX 1080 Laptop GPU", kNvidia, 8192, 320.3, 610, 20, 8.9, kTpu},
    // TITAN V, Volta.
    {"NVIDIA TITAN V", kNvidia, 12288, 652.8, 700, 80, 110.0, kTpu, 12064, kTorch},
    // GeForce GTX 16, Turing without tensor cores: FP16.
    {"NVIDIA GeForce GTX 1630", kNvidia, 4096, 96, 750, 8, 3.7, kTpu},
    {"NVIDIA GeForce GTX 1650", kNvidia, 4096, 128.1, 750, 14, 6.0, kTpu, 3712, kLog},
    {"NVIDIA GeForce GTX 1650 SUPER", kNvidia, 4096, 192, 750, 20, 8.8, kTpu},
    {"NVIDIA GeForce GTX 1660", kNvidia, 6144, 192.1, 750, 22, 10.1, kTpu},
    {"NVIDIA GeForce GTX 1660 SUPER", kNvidia, 6144, 336, 750, 22, 10.1, kTpu, 5748, kTorch},
    {"NVIDIA GeForce GTX 1660 Ti", kNvidia, 6144, 288, 750, 24, 10.9, kTpu, 5747, kLog},
    {"NVIDIA GeForce GTX 1650 Ti Laptop GPU", kNvidia, 4096, 192, 750, 16, 6.1, kTpu},
    {"NVIDIA GeForce GTX 1660 Ti Laptop GPU", kNvidia, 6144, 288, 750, 24, 9.8, kTpu},
    // GeForce RTX 20, Turing: with FP32 accumulate half the FP16 rate, 4 times FP32.
    {"NVIDIA GeForce RTX 2060", kNvidia, 6144, 336, 750, 30, 25.8, kTpu, 5738, kLog},
    {"NVIDIA GeForce RTX 2060 12GB", kNvidia, 12288, 336, 750, 34, 28.7, kTpu, 11824, kLog},
    {"NVIDIA GeForce RTX 2060 SUPER", kNvidia, 8192, 448, 750, 34, 28.7, kTpu},
    {"NVIDIA GeForce RTX 2070", kNvidia, 8192, 448, 750, 36, 29.9, kTpu},
    {"NVIDIA GeForce RTX 2070 SUPER", kNvidia, 8192, 448, 750, 40, 36.2, kTpu, 7794, kLog},
    {"NVIDIA GeForce RTX 2080", kNvidia, 8192, 448, 750, 46, 40.3, kTpu},
    {"NVIDIA GeForce RTX 2080 SUPER", kNvidia, 8192, 495.9, 750, 48, 44.6, kTpu},
    {"NVIDIA GeForce RTX 2080 Ti", kNvidia, 11264, 616, 750, 68, 53.8, kTpu, 10818, kLog},
    {"NVIDIA TITAN RTX", kNvidia, 24576, 672, 750, 72, 130.5, kTpu},
    {"NVIDIA GeForce RTX 2060 Laptop GPU", kNvidia, 6144, 336, 750, 30, 24.0, kTpu},
    {"NVIDIA GeForce RTX 2070 Laptop GPU", kNvidia, 8192, 448, 750, 36, 26.5, kTpu},
    {"NVIDIA GeForce RTX 2070 SUPER Laptop GPU", kNvidia, 8192, 448, 750, 40, 28.3, kTpu},
    {"NVIDIA GeForce RTX 2080 Laptop GPU", kNvidia, 8192, 448, 750, 46, 37.4, kTpu},
    {"NVIDIA GeForce RTX 2080 SUPER Laptop GPU", kNvidia, 8192, 448, 750, 48, 38.3, kTpu},
    // GeForce RTX 30, Ampere: with FP32 accumulate twice FP32.
    {"NVIDIA GeForce RTX 3050", kNvidia, 8192, 224, 860, 20, 18.2, kTpu, 7837, kLog},
    {"NVIDIA GeForce RTX 3050 6GB", kNvidia, 6144, 168, 860, 18, 13.5, kTpu, 5803, kLog},
    {"NVIDIA GeForce RTX 3060", kNvidia, 12288, 360, 860, 28, 25.5, kTpu, 11906, kLog},
    {"NVIDIA GeForce RTX 3060 8GB", kNvidia, 8192, 240, 860, 28, 25.5, kTpu},
    {"NVIDIA GeForce RTX 3060 Ti", kNvidia, 8192, 448, 860, 38, 32.4, kTpu, 7833, kTorch},
    {"NVIDIA GeForce RTX 3070", kNvidia, 8192, 448, 860, 46, 40.6, kTpu, 7819, kLog},
    {"NVIDIA GeForce RTX 3070 Ti", kNvidia, 8192, 608.3, 860, 48, 43.5, kTpu},
    {"NVIDIA GeForce RTX 3080", kNvidia, 10240, 760.3, 860, 68, 59.5, kTpu, 9875, kLog},
    {"NVIDIA GeForce RTX 3080 12GB", kNvidia, 12288, 912.4, 860, 70, 61.3, kTpu},
    {"NVIDIA GeForce RTX 3080 Ti", kNvidia, 12288, 912.4, 860, 80, 68.2, kTpu, 11910, kTorch},
    {"NVIDIA GeForce RTX 3090", kNvidia, 24576, 936.2, 860, 82, 71.2, kTpu, 24121, kLog},
    {"NVIDIA GeForce RTX 3090 Ti", kNvidia, 24576, 1008, 860, 84, 80.0, kTpu, 24112, kLog},
    {"NVIDIA GeForce RTX 3050 Laptop GPU", kNvidia, 4096, 192, 860, 16, 14.3, kTpu, 3762, kTorch},
    {"NVIDIA GeForce RTX 3050 6GB Laptop GPU", kNvidia, 6144, 168, 860, 20, 15.3, kTpu, 5803, kLog},
    {"NVIDIA GeForce RTX 3050 Ti Laptop GPU", kNvidia, 4096, 192, 860, 20, 17.4, kTpu},
    {"NVIDIA GeForce RTX 3060 Laptop GPU", kNvidia, 6144, 336, 860, 30, 26.2, kTpu},
    {"NVIDIA GeForce RTX 3070 Laptop GPU", kNvidia, 8192, 448, 860, 40, 33.2, kTpu},
    {"NVIDIA GeForce RTX 3070 Ti Laptop GPU", kNvidia, 8192, 448, 860, 46, 35.0, kTpu, 7850, kLog},
    {"NVIDIA GeForce RTX 3080 Laptop GPU", kNvidia, 8192, 448, 860, 48, 42.0, kTpu},
    {"NVIDIA GeForce RTX 3080 Laptop GPU 16GB", kNvidia, 16384, 448, 860, 48, 42.0, kTpu, 15993,
     kTorch},
    {"NVIDIA GeForce RTX 3080 Ti Laptop GPU", kNvidia, 16384, 512, 860, 58, 47.2, kTpu},
    // GeForce RTX 40, Ada: with FP32 accumulate twice FP32; laptops: an eighth of the AI TOPS.
    {"NVIDIA GeForce RTX 4060", kNvidia, 8192, 272, 890, 24, 30.2, kTpu, 7807, kTorch},
    {"NVIDIA GeForce RTX 4060 Ti", kNvidia, 8192, 288, 890, 34, 44.1, kTpu, 7806, kTorch},
    {"NVIDIA GeForce RTX 4060 Ti 16GB", kNvidia, 16384, 288, 890, 34, 44.1, kTpu, 15944, kLog},
    {"NVIDIA GeForce RTX 4070", kNvidia, 12288, 504.2, 890, 46, 58.3, kTpu, 11866, kLog},
    {"NVIDIA GeForce RTX 4070 SUPER", kNvidia, 12288, 504.2, 890, 56, 71.0, kTpu},
    {"NVIDIA GeForce RTX 4070 Ti", kNvidia, 12288, 504.2, 890, 60, 80.2, kTpu},
    {"NVIDIA GeForce RTX 4070 Ti SUPER", kNvidia, 16384, 672.3, 890, 66, 88.2, kTpu, 15941, kLog},
    {"NVIDIA GeForce RTX 4080", kNvidia, 16384, 716.8, 890, 76, 97.5, kTpu},
    {"NVIDIA GeForce RTX 4080 SUPER", kNvidia, 16384, 736.3, 890, 80, 104.4, kTpu, 15937, kLog},
    {"NVIDIA GeForce RTX 4090", kNvidia, 24576, 1008, 890, 128, 165.2, kTpu, 24080, kLog},
    {"NVIDIA GeForce RTX 4090 D", kNvidia, 24576, 1008, 890, 114, 147.1, kTpu},
    {"NVIDIA GeForce RTX 4050 Laptop GPU", kNvidia, 6144, 192, 890, 20, 24.2, kAiTops},
    {"NVIDIA GeForce RTX 4060 Laptop GPU", kNvidia, 8192, 256, 890, 24, 29.1, kAiTops, 7806,
     kTorch},
    {"NVIDIA GeForce RTX 4070 Laptop GPU", kNvidia, 8192, 256, 890, 36, 40.1, kAiTops, 7805, kLog},
    {"NVIDIA GeForce RTX 4080 Laptop GPU", kNvidia, 12288, 432, 890, 58, 67.8, kAiTops, 11876,
     kLog},
    {"NVIDIA GeForce RTX 4090 Laptop GPU", kNvidia, 16384, 576, 890, 76, 85.8, kAiTops},
    // GeForce RTX 50, Blackwell: the same; laptops: a sixteenth of the AI TOPS.
    {"NVIDIA GeForce RTX 5050", kNvidia, 8192, 320, 1200, 20, 26.3, kTpu},
    {"NVIDIA GeForce RTX 5060", kNvidia, 8192, 448, 1200, 30, 38.4, kTpu, 7708, kLog},
    {"NVIDIA GeForce RTX 5060 Ti", kNvidia, 8192, 448, 1200, 36, 47.4, kTpu},
    {"NVIDIA GeForce RTX 5060 Ti 16GB", kNvidia, 16384, 448, 1200, 36, 47.4, kTpu, 15825, kLog},
    {"NVIDIA GeForce RTX 5070", kNvidia, 12288, 672, 1200, 48, 61.7, kTpu},
    {"NVIDIA GeForce RTX 5070 Ti", kNvidia, 16384, 896, 1200, 70, 87.9, kTpu, 15842, kLog},
    {"NVIDIA GeForce RTX 5080", kNvidia, 16384, 960, 1200, 84, 112.6, kTpu, 15877, kLog},
    {"NVIDIA GeForce RTX 5090", kNvidia, 32768, 1792, 1200, 170, 209.5, kTpu, 32109, kLog},
    {"NVIDIA GeForce RTX 5050 Laptop GPU", kNvidia, 8192, 384, 1200, 20, 27.5, kAiTops},
    {"NVIDIA GeForce RTX 5060 Laptop GPU", kNvidia, 8192, 384, 1200, 26, 35.8, kAiTops},
    {"NVIDIA GeForce RTX 5070 Laptop GPU", kNvidia, 8192, 384, 1200, 36, 49.9, kAiTops},
    {"NVIDIA GeForce RTX 5070 Ti Laptop GPU", kNvidia, 12288, 672, 1200, 46, 62.0, kAiTops},
    {"NVIDIA GeForce RTX 5080 Laptop GPU", kNvidia, 16384, 896, 1200, 60, 83.4, kAiTops},
    {"NVIDIA GeForce RTX 5090 Laptop GPU", kNvidia, 24576, 896, 1200, 82, 114.0, kAiTops},
    // Workstation cards: full rate with FP32 accumulate.
    {"NVIDIA RTX A400", kNvidia, 4096, 96, 860, 6, 10.8, kSheet, 3768, kLog},
    {"NVIDIA RTX A1000", kNvidia, 8192, 192, 860, 18, 26.9, kSheet},
    {"NVIDIA RTX A2000", kNvidia, 6144, 288, 860, 26, 31.9, kSheet},
    {"NVIDIA RTX A2000 12GB", kNvidia, 12288, 288, 860, 26, 31.9, kSheet},
    {"NVIDIA RTX A4000", kNvidia, 16384, 448, 860, 48, 76.7, kSheet},
    {"NVIDIA RTX A4500", kNvidia, 20480, 640, 860, 56, 94.6, kSheet},
    {"NVIDIA RTX A5000", kNvidia, 24576, 768, 860, 64, 111.1, kSheet},
    {"NVIDIA RTX A5500", kNvidia, 24576, 768, 860, 80, 136.4, kSheet},
    {"NVIDIA RTX A6000", kNvidia, 49152, 768, 860, 84, 154.8, kSheet},
    {"NVIDIA RTX 2000 Ada Generation", kNvidia, 16384, 224, 890, 22, 48.0, kSheet},
    {"NVIDIA RTX 4000 Ada Generation", kNvidia, 20480, 360, 890, 48, 0, kSheet},
    {"NVIDIA RTX 4000 SFF Ada Generation", kNvidia, 20480, 280, 890, 48, 76.7, kSheet},
    {"NVIDIA RTX 4500 Ada Generation", kNvidia, 24576, 432, 890, 60, 158.5, kSheet},
    {"NVIDIA RTX 5000 Ada Generation", kNvidia, 32768, 576, 890, 100, 261.1, kSheet},
    {"NVIDIA RTX 6000 Ada Generation", kNvidia, 49152, 960, 890, 142, 364.2, kSheet, 48520, kTorch},
    {"NVIDIA RTX PRO 4000 Blackwell", kNvidia, 24576, 672, 1200, 70, 0, kSheet},
    {"NVIDIA RTX PRO 4500 Blackwell", kNvidia, 32768, 896, 1200, 82, 0, kSheet},
    {"NVIDIA RTX PRO 5000 Blackwell", kNvidia, 49152, 1344, 1200, 110, 0, kSheet},
    {"NVIDIA RTX PRO 6000 Blackwell Workstation Edition", kNvidia, 98304, 1792, 1200, 188, 503.8,
     kSheet, 97247, kLog},
    {"NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", kNvidia, 98304, 1792, 1200, 188,
     438.9, kSheet, 97247, kLog},
    {"NVIDIA RTX PRO 6000 Blackwell Server Edition", kNvidia, 98304, 1597, 1200, 188, 0, kSheet},
    // Data centre.
    {"Tesla P4", kNvidia, 8192, 192, 610, 20, 5.5, kSheet, 0, "", true},
    {"Tesla P40", kNvidia, 24576, 346, 610, 30, 11.8, kSheet, 0, "", true},
    {"Tesla P100-PCIE-16GB", kNvidia, 16384, 732, 600, 56, 18.7, kSheet, 16269, kTorch},
    {"Tesla P100-SXM2-16GB", kNvidia, 16384, 732, 600, 56, 21.2, kSheet},
    {"Tesla V100-SXM2-16GB", kNvidia, 16384, 900, 700, 80, 125.0, kSheet, 16130, kTorch},
    {"Tesla V100-SXM2-32GB", kNvidia, 32768, 900, 700, 80, 125.0, kSheet, 32494, kLog},
    {"Tesla V100-PCIE-16GB", kNvidia, 16384, 900, 700, 80, 112.0, kSheet, 16160, kTorch},
    {"Tesla V100-PCIE-32GB", kNvidia, 32768, 900, 700, 80, 112.0, kSheet, 32494, kLog},
    {"Tesla V100S-PCIE-32GB", kNvidia, 32768, 1134, 700, 80, 130.0, kSheet},
    {"Tesla T4", kNvidia, 16384, 320, 750, 40, 65.0, kSheet, 14912, kLog, true},
    {"NVIDIA A2", kNvidia, 16384, 200, 860, 10, 18.0, kSheet, 0, "", true},
    {"NVIDIA A10", kNvidia, 24576, 600, 860, 72, 125.0, kSheet, 0, "", true},
    {"NVIDIA A10G", kNvidia, 24576, 600, 860, 80, 70.0, kSheet, 0, "", true},
    // A board has four of these, each a device of its own.
    {"NVIDIA A16", kNvidia, 16384, 200, 860, 10, 17.9, kSheet, 0, "", true},
    {"NVIDIA A30", kNvidia, 24576, 933, 800, 56, 165.0, kSheet, 24164, kTorch},
    {"NVIDIA A40", kNvidia, 49152, 696, 860, 84, 149.7, kSheet, 0, "", true},
    {"NVIDIA A100-SXM4-40GB", kNvidia, 40960, 1555, 800, 108, 312.0, kSheet, 40441, kTorch},
    {"NVIDIA A100-PCIE-40GB", kNvidia, 40960, 1555, 800, 108, 312.0, kSheet, 40377, kTorch},
    {"NVIDIA A100-SXM4-80GB", kNvidia, 81920, 2039, 800, 108, 312.0, kSheet, 81151, kLog},
    {"NVIDIA A100 80GB PCIe", kNvidia, 81920, 1935, 800, 108, 312.0, kSheet, 81154, kTorch},
    {"NVIDIA L4", kNvidia, 24576, 300, 890, 58, 121.0, kSheet, 22563, kTorch, true},
    {"NVIDIA L40", kNvidia, 49152, 864, 890, 142, 181.1, kSheet, 0, "", true},
    {"NVIDIA L40S", kNvidia, 49152, 864, 890, 142, 362.1, kSheet, 45467, kLog, true},
    {"NVIDIA H100 SXM 80GB HBM3", kNvidia, 81920, 3350, 900, 132, 989.4, kSheet, 81081, kLog},
    {"NVIDIA H100 PCIe", kNvidia, 81920, 2000, 900, 114, 756.0, kSheet},
    {"NVIDIA H100 NVL", kNvidia, 96256, 3900, 900, 132, 835.5, kSheet, 95320, kTorch},
    {"NVIDIA H200 SXM", kNvidia, 144384, 4800, 900, 132, 989.4, kSheet, 143155, kOurs},
    {"NVIDIA H200 NVL", kNvidia, 144384, 4800, 900, 132, 835.5, kSheet},
    {"NVIDIA GH200 96GB", kNvidia, 98304, 4000, 900, 132, 989.4, kSheet},
    {"NVIDIA GH200 144GB", kNvidia, 147456, 4900, 900, 132, 989.4, kSheet},
    {"NVIDIA B200", kNvidia, 184320, 8000, 1000, 148, 2250.0, kSheet, 182630, kTorch},
    // Unified memory: CPU and GPU share it.
    {"NVIDIA Jetson Orin Nano 8GB", kNvidia, 8192, 102, 870, 8, 17.0, kSheet, 7607, kLog},
    {"NVIDIA Jetson AGX Orin 64GB", kNvidia, 65536, 204.8, 870, 16, 42.5, kSheet, 62827, kLog},
    {"NVIDIA GB10 (DGX Spark)", kNvidia, 131072, 273, 1210, 48, 0, kSheet, 122502, kLog},
    // Radeon: FP16 of the matrix units (WMMA) where there are any.
    {"AMD Radeon RX 6600", kAmd, 8192, 224, 0, 0, 17.9, kAmdSite},
    {"AMD Radeon RX 6600 XT", kAmd, 8192, 256, 0, 0, 21.2, kAmdSite},
    {"AMD Radeon RX 6650 XT", kAmd, 8192, 280, 0, 0, 21.6, kAmdSite},
    {"AMD Radeon RX 6700", kAmd, 10240, 320, 0, 0, 22.6, kAmdSite},
    {"AMD Radeon RX 6700 XT", kAmd, 12288, 384, 0, 0, 26.4, kAmdSite, 12272, kLog},
    {"AMD Radeon RX 6750 XT", kAmd, 12288, 432, 0, 0, 26.6, kAmdSite},
    {"AMD Radeon RX 6800", kAmd, 16384, 512, 0, 0, 32.3, kAmdSite, 16368, kLog},
    {"AMD Radeon RX 6800 XT", kAmd, 16384, 512, 0, 0, 41.5, kAmdSite},
    {"AMD Radeon RX 6900 XT", kAmd, 16384, 512, 0, 0, 46.1, kAmdSite},
    {"AMD Radeon RX 6950 XT", kAmd, 16384, 576, 0, 0, 47.3, kAmdSite},
    {"AMD Radeon RX 7600", kAmd, 8192, 288, 0, 0, 43.5, kAmdSite},
    {"AMD Radeon RX 7600 XT", kAmd, 16384, 288, 0, 0, 45.1, kAmdSite},
    {"AMD Radeon RX 7700 XT", kAmd, 12288, 432, 0, 0, 70.3, kAmdSite},
    {"AMD Radeon RX 7800 XT", kAmd, 16384, 624, 0, 0, 74.7, kAmdSite},
    {"AMD Radeon RX 7900 GRE", kAmd, 16384, 576, 0, 0, 92.0, kAmdSite},
    {"AMD Radeon RX 7900 XT", kAmd, 20480, 800, 0, 0, 103.0, kAmdSite},
    {"AMD Radeon RX 7900 XTX", kAmd, 24576, 960, 0, 0, 122.8, kAmdSite, 24560, kLog},
    {"AMD Radeon RX 9060 XT", kAmd, 16384, 320, 0, 0, 103.0, kAmdSite, 16304, kLog},
    {"AMD Radeon RX 9060 XT 8GB", kAmd, 8192, 320, 0, 0, 103.0, kAmdSite},
    {"AMD Radeon RX 9070", kAmd, 16384, 640, 0, 0, 145.0, kAmdSite},
    {"AMD Radeon RX 9070 XT", kAmd, 16384, 640, 0, 0, 195.0, kAmdSite, 16304, kLog},
    {"AMD Radeon AI PRO R9700", kAmd, 32768, 640, 0, 0, 191.0, kAmdSite, 32624, kLog},
    // Unified memory; how much of it the GPU gets is a setting: 65536 to 131072 MiB were read.
    {"AMD Radeon 8060S 128GB (Strix Halo)", kAmd, 131072, 256, 0, 0, 59.4, kAmdSite, 65536, kLog},
    // Instinct.
    {"AMD Instinct MI50", kAmd, 16384, 1024, 0, 0, 26.5, kAmdSite, 16368, kLog},
    {"AMD Instinct MI50 32GB", kAmd, 32768, 1024, 0, 0, 26.5, kAmdSite},
    {"AMD Instinct MI100", kAmd, 32768, 1228.8, 0, 0, 184.6, kAmdSite},
    {"AMD Instinct MI210", kAmd, 65536, 1638.4, 0, 0, 181.0, kAmdSite, 65520, kLog},
    // A board has two of these, each a device of its own.
    {"AMD Instinct MI250", kAmd, 65536, 1638.4, 0, 0, 181.0, kAmdSite},
    {"AMD Instinct MI300X", kAmd, 196608, 5300, 0, 0, 1307.4, kAmdSite},
    {"AMD Instinct MI325X", kAmd, 262144, 6000, 0, 0, 1307.4, kAmdSite},
    // Intel Arc.
    {"Intel Arc A380", kIntel, 6144, 186, 0, 0, 33.0, kIntelSite},
    {"Intel Arc A580", kIntel, 8192, 512, 0, 0, 98.5, kIntelSite},
    {"Intel Arc A750", kIntel, 8192, 512, 0, 0, 114.5, kIntelSite},
    {"Intel Arc A770", kIntel, 16384, 560, 0, 0, 131.0, kIntelSite, 15473, kLog},
    {"Intel Arc A770 8GB", kIntel, 8192, 512, 0, 0, 131.0, kIntelSite},
    {"Intel Arc B570", kIntel, 10240, 380, 0, 0, 101.5, kIntelSite},
    {"Intel Arc B580", kIntel, 12288, 456, 0, 0, 116.5, kIntelSite, 11604, kLog},
    {"Intel Arc Pro B50", kIntel, 16384, 224, 0, 0, 85.0, kIntelSite},
    {"Intel Arc Pro B60", kIntel, 24576, 456, 0, 0, 98.5, kIntelSite},
    // Apple, by chip and memory: FP32, which Apple gave up to M2.
    {"Apple M1 8GB", kApple, 8192, 68.25, 0, 0, 2.6, kAppleSite},
    {"Apple M1 16GB", kApple, 16384, 68.25, 0, 0, 2.6, kAppleSite},
    {"Apple M1 Pro 16GB", kApple, 16384, 200, 0, 0, 5.2, kAppleSite},
    {"Apple M1 Pro 32GB", kApple, 32768, 200, 0, 0, 5.2, kAppleSite},
    {"Apple M1 Max 32GB", kApple, 32768, 400, 0, 0, 10.4, kAppleSite},
    {"Apple M1 Max 64GB", kApple, 65536, 400, 0, 0, 10.4, kAppleSite},
    {"Apple M1 Ultra 64GB", kApple, 65536, 800, 0, 0, 21.0, kAppleSite},
    {"Apple M1 Ultra 128GB", kApple, 131072, 800, 0, 0, 21.0, kAppleSite},
    {"Apple M2 8GB", kApple, 8192, 100, 0, 0, 3.6, kAppleSite},
    {"Apple M2 16GB", kApple, 16384, 100, 0, 0, 3.6, kAppleSite},
    {"Apple M2 24GB", kApple, 24576, 100, 0, 0, 3.6, kAppleSite},
    {"Apple M2 Pro 16GB", kApple, 16384, 200, 0, 0, 6.8, kAppleSite},
    {"Apple M2 Pro 32GB", kApple, 32768, 200, 0, 0, 6.8, kAppleSite},
    {"Apple M2 Max 32GB", kApple, 32768, 400, 0, 0, 13.6, kAppleSite},
    {"Apple M2 Max 64GB", kApple, 65536, 400, 0, 0, 13.6, kAppleSite},
    {"Apple M2 Max 96GB", kApple, 98304, 400, 0, 0, 13.6, kAppleSite},
    {"Apple M2 Ultra 64GB", kApple, 65536, 800, 0, 0, 27.2, kAppleSite},
    {"Apple M2 Ultra 128GB", kApple, 131072, 800, 0, 0, 27.2, kAppleSite},
    {"Apple M2 Ultra 192GB", kApple, 196608, 800, 0, 0, 27.2, kAppleSite},
    {"Apple M3 8GB", kApple, 8192, 100, 0, 0, 0, kAppleSite},
    {"Apple M3 16GB", kApple, 16384, 100, 0, 0, 0, kAppleSite},
    {"Apple M3 24GB", kApple, 24576, 100, 0, 0, 0, kAppleSite},
    {"Apple M3 Pro 18GB", kApple, 18432, 150, 0, 0, 0, kAppleSite},
    {"Apple M3 Pro 36GB", kApple, 36864, 150, 0, 0, 0, kAppleSite},
    {"Apple M3 Max 36GB", kApple, 36864, 300, 0, 0, 0, kAppleSite},
    {"Apple M3 Max 48GB", kApple, 49152, 400, 0, 0, 0, kAppleSite},
    {"Apple M3 Max 64GB", kApple, 65536, 400, 0, 0, 0, kAppleSite},
    {"Apple M3 Max 96GB", kApple, 98304, 300, 0, 0, 0, kAppleSite},
    {"Apple M3 Max 128GB", kApple, 131072, 400, 0, 0, 0, kAppleSite},
    {"Apple M3 Ultra 96GB", kApple, 98304, 819, 0, 0, 0, kAppleSite},
    {"Apple M3 Ultra 256GB", kApple, 262144, 819, 0, 0, 0, kAppleSite},
    {"Apple M3 Ultra 512GB", kApple, 524288, 819, 0, 0, 0, kAppleSite},
    {"Apple M4 16GB", kApple, 16384, 120, 0, 0, 0, kAppleSite},
    {"Apple M4 24GB", kApple, 24576, 120, 0, 0, 0, kAppleSite},
    {"Apple M4 32GB", kApple, 32768, 120, 0, 0, 0, kAppleSite},
    {"Apple M4 Pro 24GB", kApple, 24576, 273, 0, 0, 0, kAppleSite},
    {"Apple M4 Pro 48GB", kApple, 49152, 273, 0, 0, 0, kAppleSite},
    {"Apple M4 Pro 64GB", kApple, 65536, 273, 0, 0, 0, kAppleSite},
    {"Apple M4 Max 36GB", kApple, 36864, 410, 0, 0, 0, kAppleSite},
    {"Apple M4 Max 48GB", kApple, 49152, 546, 0, 0, 0, kAppleSite},
    {"Apple M4 Max 64GB", kApple, 65536, 546, 0, 0, 0, kAppleSite},
    {"Apple M4 Max 128GB", kApple, 131072, 546, 0, 0, 0, kAppleSite},
    {"Apple M5 16GB", kApple, 16384, 153, 0, 0, 0, kAppleSite},
    {"Apple M5 24GB", kApple, 24576, 153, 0, 0, 0, kAppleSite},
    {"Apple M5 32GB", kApple, 32768, 153, 0, 0, 0, kAppleSite},
    {"Apple M5 Pro 24GB", kApple, 24576, 307, 0, 0, 0, kAppleSite},
    {"Apple M5 Pro 48GB", kApple, 49152, 307, 0, 0, 0, kAppleSite},
    {"Apple M5 Pro 64GB", kApple, 65536, 307, 0, 0, 0, kAppleSite},
    {"Apple M5 Max 64GB", kApple, 65536, 614, 0, 0, 0, kAppleSite},
    {"Apple M5 Max 128GB", kApple, 131072, 614, 0, 0, 0, kAppleSite},
};

}  // namespace

std::span<const Card> Cards() { return kCards; }

}  // namespace trimma
