// The sections of the page, in the order in which they are read. Each returns markup, with its
// heading; a section that has nothing to say is "" or says that it was not measured.
#pragma once

#include <string>

#include "report/record.h"

namespace trimma {

std::string ComparisonSection(const OptimizeRecord& record);
std::string ReasonsSection(const OptimizeRecord& record);
std::string TradeOffSection(const OptimizeRecord& record);
std::string MemorySection(const OptimizeRecord& record);
std::string SettingsSection(const OptimizeRecord& record);
std::string FilesSection(const OptimizeRecord& record);
std::string TrialsSection(const OptimizeRecord& record);
std::string MachineSection(const OptimizeRecord& record);
std::string MethodSection(const OptimizeRecord& record);
std::string NotesSection(const OptimizeRecord& record);
std::string TimeSection(const OptimizeRecord& record);

}  // namespace trimma
