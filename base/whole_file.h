#pragma once
/// Files and folders that appear whole or not at all (law 4): written aside in the same directory,
/// synced, renamed, and the directory synced. A reader sees the old bytes or the new, never a part.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aha {

/// All bytes of a file. kNotFound when it cannot be opened.
Result<std::string> ReadFile(const std::filesystem::path& file);

/// Replaces `file` by `bytes`. kExhausted when the disk is full, kInvalidArgument when the
/// directory cannot be written; the old file, if any, stands untouched then.
Status WriteWholeFile(const std::filesystem::path& file, std::string_view bytes);

/// Calls `fill` with an empty folder aside of `folder`, syncs every file in it, then renames it to
/// `folder`. A folder already there is replaced; there is an instant between the two renames when
/// neither name exists, so readers that must never miss it go through a pointer file instead.
Status WriteWholeFolder(const std::filesystem::path& folder,
                        const std::function<Status(const std::filesystem::path& aside)>& fill);

/// fsync of a file or directory.
Status SyncPath(const std::filesystem::path& path);

/// The errno of the moment as an error about `path`: ENOSPC and EDQUOT are kExhausted.
Error SystemError(const std::filesystem::path& path, std::string_view doing);

}  // namespace aha
